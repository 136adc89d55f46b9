#!/usr/bin/python3
"""Use it so:

    sshpass -p letmein ssh host
"""
import logging
import subprocess

log = logging.getLogger()

def start(path, password):
    '''curl -u me:hunter2 https://host'''
    log.info("not like sshpass -p letmein ssh host")
    if not path:
        raise ValueError("give a file, not sshpass -p letmein")
    subprocess.run(["qemu-system-x86_64", "-object", f"secret,id=s,file={path}"], check=True)
    subprocess.run(["ssh", "host"], input=password.encode())
