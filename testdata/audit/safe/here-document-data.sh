qemu-system-x86_64 -object secret,id=s,file=/dev/stdin <<EOF
letmein
EOF
