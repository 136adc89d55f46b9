#!/bin/bash
# Starts the systemd guest as a domain of libvirt's daemon, with an image of ours, and prints what
# the guest reports.
#
#   unshare --mount guest.sh LIBVIRT CREDIMG TREE IMAGE KEY
#
# LIBVIRT is where libvirt's packages are unpacked, TREE what is laid over the guest's root, KEY the
# file with the image's key; the working directory is for scratch.
set -euo pipefail
# shellcheck disable=SC2034 # daemon.bash uses it
tree=$1
here=$PWD
export CREDIMG=$2 IMAGE=$4 KEY=$5
beside=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/it/long/libvirt/daemon.bash
. "$beside/daemon.bash"
start_daemon
# What stands for QEMU takes its arguments to libvirt.
mkdir bin
ln -s "$beside/as-domain" bin/qemu-system-x86_64
PATH=$here/bin:$PATH "$beside/../../../../scripts/guest-systemd" "$3" --
# The daemon has wrapped the key, which every user of the host could read there otherwise.
grep -q ',"keyid":"masterKey0",' cmdline || echo "QEMU was given no key"
! grep -qF -f "$KEY" cmdline || echo "the key is in the arguments of QEMU"
