# expect: guest-password 4:20
# expect: guest-password 6:14
cat > ks.cfg <<EOF
rootpw --plaintext hunter2
EOF
echo "rootpw letmein" >> ks.cfg
virt-install --name x --initrd-inject ks.cfg
