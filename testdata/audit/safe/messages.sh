#!/bin/bash
info() { printf '%s\n' "$*"; }
die() { echo "$*" >&2; exit 1; }
info "To change it: qm set $VMID --cipassword '<newpassword>'"
die "use: sshpass -p <password> ssh host"
warn "not: curl -u me:hunter2 https://host"
