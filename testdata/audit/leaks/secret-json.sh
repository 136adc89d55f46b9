# expect: secret-data 2:75
qemu-system-x86_64 -object '{"qom-type": "secret", "id": "sec0", "data": "letmein"}'
