# expect: set-credential 4:30
# expect: set-credential 5:30
# expect: guest-password 5:54
mkosi --credential api.token=letmein vm
mkosi --credential=api.token=letmein --root-password hunter2 boot
