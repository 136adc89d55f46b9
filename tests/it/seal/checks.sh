# The guest's side of the test, behind tests/it/support/checks.sh and lines that set
# `port`, a port that the host listens on, and `blob`, the blob's name.
# shellcheck shell=sh disable=SC2034,SC2154

not() { ! "$@"; }

name=network
ip link set eth0 up
ip link set eth1 up
cat >/run/lease <<'END'
#!/bin/sh
[ "$1" != bound ] || echo "$ip/$mask router=$router dns=$dns" >/run/bound
END
chmod 755 /run/lease
check "a lease" udhcpc -q -n -t 10 -i eth0 -s /run/lease
check "no gateway and no name server" same "10.0.2.15/24 router= dns=" "$(cat /run/bound)"
ip address add 10.0.2.15/24 dev eth0
ip address add 10.0.3.15/24 dev eth1
reaches() { nc -w 3 "$1" "$port" </dev/null; }
# An open card beside it reaches the host, so that the refusal is the restriction's.
check "the host by another card" reaches 10.0.3.2
check "no host by the share's card" not reaches 10.0.2.2

name=share
mkdir -p /share /run/secrets
check mount mount -t cifs -o username=guest,password=,vers=3.1.1,ip=10.0.2.4 \
    //10.0.2.4/qemu /share
check "the blob alone" same "$blob" "$(ls -A /share)"

name=identity
(umask 077 && tr '\0' '\n' </sys/firmware/dmi/entries/11-0/raw |
    sed -n 's/.*io\.systemd\.credential\.binary:age\.identity=//p' |
    base64 -d >/run/identity)
check "an identity" grep -q '^AGE-SECRET-KEY-1' /run/identity

name=secrets
check opens age -d -i /run/identity -o /run/secrets.tar "/share/$blob"
check unpacks tar -x -p -f /run/secrets.tar -C /run/secrets
entry() {
    check "$1: mode, owner and kind" same "$2" "$(stat -c '%a %u:%g %F' "/run/secrets/$1")"
}
entry . "700 0:0 directory"
entry api/token "400 990:3000000 regular file"
entry current "777 0:0 symbolic link"
check "its target" same api/token "$(readlink /run/secrets/current)"
check "a name of 255 bytes" [ -s /run/secrets/tls/nnn* ]
sums() { (cd /run/secrets && sha256sum -c -s /run/sums); }
check "every content" sums

name=changes
check "the guest writes" touch /share/from-the-guest
opens() { age -d -i /run/identity -o /run/again.tar "$1" 2>/run/errors; }
check "opens again" opens "/share/$blob"
head -c 3000 "/share/$blob" >/share/cut
check "a cut does not open" not opens /share/cut
printf x | dd of="/share/$blob" bs=1 seek=2000 conv=notrunc 2>/dev/null
sync
check "a changed blob does not open" not opens "/share/$blob"
umount /share
finish
