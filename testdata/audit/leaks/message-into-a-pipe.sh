# expect: sshpass 3:18
info() { printf '%s\n' "$*"; }
info "sshpass -p letmein ssh host" | sh
