virsh -c qemu:///system dumpxml chimera --security-info | credimg audit -
virsh set-user-password chimera root
