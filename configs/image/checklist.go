package main

// checklist is what no test here can show: emulators run neither the Pi's
// firmware nor its sound, and no Pi was at hand.
const checklist = `What to try on real hardware. Nothing of it was tried by the makers: please tell
them what you find, with the board's revision and the power supply.

For each of Pi 3B+, Pi 4, Pi 5, Zero 2 W (64 bits, wired network or USB Ethernet):

 1 [ ] the card boots: a line "init: the device is process ..." on HDMI within 30 s
 2 [ ] config.txt and cmdline.txt are read: the same lines on the serial pins (115200)
 3 [ ] DHCP: the router lists it as tacet-XXXXXX, the end of its hardware address
 4 [ ] it joins the hub: "tacet device list" shows it online
 5 [ ] tacet.yaml, edited on Windows, macOS and Linux, is taken; an unknown key is
       told with its line on the screen and by the status light
 6 [ ] the enrolment code is gone from tacet.yaml after the first start
 7 [ ] the data partition has the rest of the card (8 GiB at most): "init: the data
       partition grows", and at the next start nothing of it
 8 [ ] sound: headphone jack (3B+, 4), USB card, I2S (not with this kernel), HDMI
 9 [ ] no pop when the amplifier is switched on and off; silence while it boots
10 [ ] amp_enable is low while it boots, after kill -9, and without power to the Pi
11 [ ] pulls and edges: one event for each press of each button
12 [ ] PWM and one-wire overlays, where config.txt asks for them
13 [ ] sensors: BME280 at I2C 1, DS18B20 on GPIO4, temperature, under-voltage
14 [ ] the watchdog bites: "echo c > /proc/sysrq-trigger" is not at hand here, so pull
       the SD card while it runs; the Pi is reset within 20 s
15 [ ] 20 times the power is cut: while it boots, idles, plays, updates; each time it
       comes back with its credential
16 [ ] the time: without a time server, with a wrong one, after a week without power
17 [ ] 24 hours of announcements: no gap, no lost descriptor, memory as at the start
18 [ ] network cable out and in; hub off for an hour; router restarted
19 [ ] card of another maker, 2 GB to 64 GB
20 [ ] three Pis of one area: "tacet area show" names the one that leads; the hub's
       plug is pulled, then the leader's: another leads, and never two sound at once

With Raspberry Pi OS (the package or install.sh), 32 bits are not supported:

21 [ ] install, reboot, upgrade with a changed device.yaml, remove, purge
22 [ ] Lite: ALSA as a system service; Desktop: PipeWire holds the card
23 [ ] Wi-Fi, which the card image cannot have
24 [ ] sound HATs that Raspberry Pi OS knows
`
