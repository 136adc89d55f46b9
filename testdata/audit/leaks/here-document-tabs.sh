# expect: secret-data 5:46
# expect: download-password 8:12
if true; then
	cat >/tmp/start <<-END
	qemu-system-x86_64 -object secret,id=s,data=$LETMEIN
	END
fi
curl -u me:hunter2 https://host/
