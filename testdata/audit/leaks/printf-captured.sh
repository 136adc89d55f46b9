# expect: secret-data 2:53
arguments=$(printf '%s\n' -object "secret,id=s,data=$LETMEIN")
