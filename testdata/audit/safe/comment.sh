# qemu-system-x86_64 -object secret,id=sec0,data=letmein
true # -smbios type=11,value=io.systemd.credential:mycred=letmein
	 # curl -u me:hunter2 https://host
