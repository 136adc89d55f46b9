log() { echo "$(date) $*" >> /var/log/vm.log; }
log "never use: sshpass -p letmein ssh host"
