# expect: guest-password 4:35
# expect: guest-password 6:41
cat > preseed.cfg <<'EOF'
d-i passwd/root-password password hunter2
EOF
echo "d-i passwd/user-password password letmein" >> preseed.cfg
