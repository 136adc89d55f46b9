# expect: secret-data 2:61
qemu-system-x86_64 -object secret,id=sec0,keyid=master,data=letmein,format=base64
