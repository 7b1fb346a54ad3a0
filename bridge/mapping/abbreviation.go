package mapping

import "strings"

// abbreviations is the short keys of a discovery payload (Home Assistant, "MQTT
// discovery, Supported abbreviations") that say something of a reading or of
// presence.
var abbreviations = map[string]string{
	"act_t": "action_topic", "act_tpl": "action_template", "atype": "automation_type", "avty": "availability", "avty_mode": "availability_mode", "avty_t": "availability_topic",
	"avty_tpl": "availability_template", "bri_stat_t": "brightness_state_topic", "bri_val_tpl": "brightness_value_template", "cmd_t": "command_topic", "cmps": "components",
	"curr_hum_t": "current_humidity_topic", "curr_hum_tpl": "current_humidity_template", "curr_temp_t": "current_temperature_topic", "curr_temp_tpl": "current_temperature_template",
	"dev": "device", "dev_cla": "device_class", "en": "enabled_by_default", "ent_cat": "entity_category", "evt_typ": "event_types", "exp_aft": "expire_after",
	"hum_stat_t": "target_humidity_state_topic", "hum_stat_tpl": "target_humidity_state_template", "json_attr_t": "json_attributes_topic", "json_attr": "json_attributes_topic",
	"json_attr_tpl": "json_attributes_template", "mode_stat_t": "mode_state_topic", "mode_stat_tpl": "mode_state_template", "o": "origin", "obj_id": "object_id", "ops": "options",
	"p": "platform", "pct_stat_t": "percentage_state_topic", "pl": "payload", "pl_avail": "payload_available", "pl_not_avail": "payload_not_available", "pl_off": "payload_off",
	"pl_on": "payload_on", "pos_t": "position_topic", "pos_tpl": "position_template", "schema": "schema", "sug_dsp_prc": "suggested_display_precision", "stat_cla": "state_class",
	"stat_closed": "state_closed", "stat_locked": "state_locked", "stat_unlocked": "state_unlocked", "stat_off": "state_off", "stat_on": "state_on", "stat_open": "state_open",
	"stat_t": "state_topic", "stat_tpl": "state_template", "stat_val_tpl": "state_value_template", "stype": "subtype", "t": "topic", "temp_stat_t": "temperature_state_topic",
	"temp_stat_tpl": "temperature_state_template", "unit_of_meas": "unit_of_measurement", "uniq_id": "unique_id", "val_tpl": "value_template",
}

// deviceAbbreviations is those of its device.
var deviceAbbreviations = map[string]string{
	"cns": "connections", "ids": "identifiers", "mdl": "model", "mdl_id": "model_id", "mf": "manufacturer", "sa": "suggested_area", "sw": "sw_version", "hw": "hw_version", "sn": "serial_number",
}

// spellOut puts the long key in the place of each short one.
func spellOut(object map[string]any, short map[string]string) {
	for key, long := range short {
		if v, ok := object[key]; ok {
			if _, both := object[long]; !both {
				object[long] = v
			}
			if key != long {
				delete(object, key)
			}
		}
	}
}

// spellOutConfig spells out a discovery payload: its keys, those of its device
// and its availability, and "~", the base of its topics.
func spellOutConfig(object map[string]any) {
	spellOut(object, abbreviations)
	if device := child(object, "device"); device != nil {
		spellOut(device, deviceAbbreviations)
	}
	base, _ := object["~"].(string)
	based(object, base)
	list, _ := object["availability"].([]any)
	if one := child(object, "availability"); one != nil {
		list = []any{one}
		object["availability"] = list
	}
	for _, item := range list {
		if a, ok := item.(map[string]any); ok {
			spellOut(a, abbreviations)
			based(a, base)
		}
	}
}

// based puts the base in the place of "~" at either end of a topic.
func based(object map[string]any, base string) {
	if base == "" {
		return
	}
	for key, v := range object {
		topic, ok := v.(string)
		if !ok || !strings.HasSuffix(key, "topic") {
			continue
		}
		if rest, ok := strings.CutPrefix(topic, "~"); ok {
			topic = base + rest
		}
		if rest, ok := strings.CutSuffix(topic, "~"); ok {
			topic = rest + base
		}
		object[key] = topic
	}
}
