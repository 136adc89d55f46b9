# expect: secret-data 3:45
name=${1%%\'*} rest=${2:-it\'s}
qemu-system-x86_64 -object secret,id=s,data=letmein
