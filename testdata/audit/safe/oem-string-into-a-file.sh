umask 077
printf 'io.systemd.credential:api=%s' "$TOKEN" > "$dir/api.oem"
printf %s "io.systemd.credential.binary:key=$(base64 -w0 < /etc/key)" > "$dir/key.oem"
cat > "$dir/other.oem" <<END
io.systemd.credential:other=$TOKEN
END
qemu-system-x86_64 -smbios type=11,path="$dir/api.oem" -smbios type=11,path="$dir/key.oem"
