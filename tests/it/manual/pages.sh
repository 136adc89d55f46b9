# What the examples of the manual pages find in their directory. $1 is the example.
# shellcheck shell=bash
set -euo pipefail
umask 022
export SOURCE_DATE_EPOCH=0

mkdir keys tls share out
echo a-key >keys/ssh_host_ed25519_key
echo a-token >keys/token
echo a-certificate >tls/server.crt
cat >secrets.yaml <<'END'
label: CHIMERA
files:
  - {path: /motd, text: "Welcome.\n"}
  - {path: /ssh/key, file: keys/ssh_host_ed25519_key}
  - {path: /api/token, file: keys/token}
END
for machine in chimera medusa; do echo "the key of $machine" >keys/$machine; done
cat >fleet.yaml <<'END'
machines: {chimera: {}, medusa: {}}
output: "{machine}.erofs"
files:
  - {path: /ssh/key, to: all, file: "keys/{machine}"}
credentials:
  - {name: api.token, to: chimera, file: keys/token}
END
cat >seed.yaml <<'END'
label: cidata
files:
  - {path: /user-data, text: "#cloud-config\n{}\n"}
  - {path: /meta-data, text: "instance-id: chimera\n"}
END
cat >start-vm.sh <<'END'
#!/bin/sh
exec qemu-system-x86_64 "$@"
END
chmod +x start-vm.sh
echo a kernel >vmlinux
cat >node.xml <<'END'
<node><domain type='test'><name>chimera</name><memory>65536</memory><os><type>hvm</type></os></domain></node>
END

build() { credimg build secrets.yaml --args none --quiet "$@"; }
case $1 in
    *root.img*) qemu-img create -q -f qcow2 root.img 1M ;;
    *'credimg probe'*) ln -s "$CREDIMG_CACHE/kernel/boot/vmlinux" vmlinuz ;;
esac
case $1 in
    *'secret wrap'* | *'secret unwrap'*)
        case $1 in *genkey*) ;; *) credimg genkey chimera.master ;; esac ;;
esac
case $1 in
    *'secret unwrap'*'<vnc.object'*)
        case $1 in
            *genkey*) ;;
            *) printf hunter2 | credimg secret wrap --master-key chimera.master --id vnc0 >vnc.object ;;
        esac ;;
esac
case $1 in
    *'credimg build'* | *'credimg exec'* | *'credimg seal'* | *genkey*) ;;
    *'credimg diff'*--key-file*)
        build -o old.erofs --encrypt luks2 --key-out old.key
        build -o new.erofs --encrypt luks2 --key-out new.key ;;
    *'credimg diff'*)
        build -o old.erofs
        build -o new.erofs ;;
    *chimera.erofs*--key-file*) build -o chimera.erofs --encrypt luks2 --key-out chimera.key ;;
    *'fleet args'*) build -o chimera.erofs ;;
    *chimera.erofs*) build -o chimera.erofs ;;
esac
