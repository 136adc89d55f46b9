# expect: secret-data 2:35
OPTIONS='-object secret,id=s,data=letmein -m 1G'
# shellcheck disable=SC2086
qemu-system-x86_64 $OPTIONS
