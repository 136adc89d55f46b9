# expect: guest-password 3:46
virsh qemu-agent-command chimera '{"execute":"guest-set-user-password",
  "arguments":{"username":"root","password":"bGV0bWVpbg==","crypted":false}}'
