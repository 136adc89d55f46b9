# expect: sshpass 4:23
# expect: sshpass 5:24
import os
os.system("sshpass -p {} ssh host".format(password))
run(["sshpass", "-p", "letmein".strip(), "ssh", "host"])
