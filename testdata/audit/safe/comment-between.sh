qemu-system-x86_64 -m 1G \
  # -object secret,id=sec0,data=letmein
args=(
  -m 1G
  # -object secret,id=sec0,data=letmein
)
