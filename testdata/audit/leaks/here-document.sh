# expect: secret-data 4:45
ssh host bash <<'EOF'
set -e
qemu-system-x86_64 -object secret,id=s,data=letmein
EOF
