# expect: secret-data 2:32
echo '-object secret,id=s,data=letmein' >>vm.args
