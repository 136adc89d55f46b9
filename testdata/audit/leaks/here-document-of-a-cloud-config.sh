# expect: guest-password 4:11
cat > user-data <<EOF
#cloud-config
password: hunter2
chpasswd: { expire: False }
EOF
cloud-localds seed.img user-data
