cat <<EOF
usage: vm [-object secret,id=sec0,data=letmein]
       curl -u me:hunter2 https://host
EOF
cat >&2 <<-'EOF'
	qemu-system-x86_64 -object secret,id=sec0,data=letmein
	EOF
: <<'EOF'
curl -u me:hunter2 https://host
EOF
