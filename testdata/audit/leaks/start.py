#!/usr/bin/env python3
"""Starts a machine: curl -u me:hunter2 https://host is not run."""
import os
import subprocess

def start(password):
    """No leak: sshpass -p letmein"""
    print("no leak: sshpass -p letmein ssh host")
    subprocess.run(["qemu-system-x86_64", "-object", "secret,id=s,data=letmein"])
    subprocess.run(["sshpass", "-p", password, "ssh", "host"], check=True)
    os.system(f"curl -u me:{password} https://host/")
    command = ["virsh", "set-user-password", "vm", "root",
               "hunter2"]  # a comment's apostrophe
    arguments = "-smbios type=11,value=io.systemd.credential:api.token=" + password
    os.system('qm set 100 --cipassword "%s"' % password)
