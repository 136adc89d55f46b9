# expect: sshpass 2:29
SSHPASS_OPTS= sshpass -v -p'hunter2 !' scp a root@guest:
