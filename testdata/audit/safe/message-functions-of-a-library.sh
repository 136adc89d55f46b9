. ./library.sh
log_error "never use: sshpass -p letmein ssh host"
msg_info "or virsh set-user-password a root letmein"
print_warning "curl -u me:hunter2 https://host"
