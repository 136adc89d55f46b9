# expect: secret-data 2:35
$QEMU -object secret,id=sec0,data=letmein
