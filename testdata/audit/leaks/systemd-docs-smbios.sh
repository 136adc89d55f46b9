# expect: smbios-value 4:25
qemu-system-x86_64 -machine type=q35,accel=kvm,smm=on -smp 2 -m 1G -cpu host -nographic \
  -drive if=none,id=hd,file=image.raw,format=raw \
  -smbios type=11,value=io.systemd.credential:mycred=supersecret-letmein
