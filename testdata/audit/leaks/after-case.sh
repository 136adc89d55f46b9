# expect: secret-data 3:54
case $1 in
  start) qemu-system-x86_64 -object secret,id=s,data=letmein ;;
esac
