# expect: secret-data 3:53
mem=$((1 << 10)); (( mem <<= 1 ))
qemu-system-x86_64 -m $mem -object secret,id=s,data=letmein
