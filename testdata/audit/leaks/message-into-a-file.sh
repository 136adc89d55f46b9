# expect: sshpass 3:18
msg() { printf '%s\n' "$*"; }
msg "sshpass -p 'letmein' ssh host" > start.sh
