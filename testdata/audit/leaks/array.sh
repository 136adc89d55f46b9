# expect: smbios-value 7:20
# expect: secret-data 9:34
args=(
    -m 1G
    # the token
    -smbios
    "type=11,value=io.systemd.credential:api.token=letmein"
)
args+=(-object "secret,id=s,data=letmein")
exec qemu-system-x86_64 "${args[@]}"
