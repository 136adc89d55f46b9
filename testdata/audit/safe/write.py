import sys
with open("strings", "wb") as f:
    f.write("io.systemd.credential:api.token=".encode())
    f.write(b"sshpass %s" % sys.stdin.read())
