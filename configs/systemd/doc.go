// Package systemd has the services of the hub and of the device, for who installs
// them: the packages of configs/deb and the hub's /install.sh.
package systemd

import _ "embed"

var (
	//go:embed tacet-device.service
	deviceService string
	//go:embed 60-tacet-device.rules
	deviceRules string
)

// DeviceService is the unit of tacet-device, whose program is
// /usr/bin/tacet-device.
func DeviceService() string { return deviceService }

// DeviceRules are the rules of udev that give pins and buses to the groups of the
// device's service.
func DeviceRules() string { return deviceRules }
