qemu-system-x86_64 -object '{"qom-type":"secret","id":"s","keyid":"masterKey0","iv":"AAAA","format":"base64","data":"AAAA"}'
