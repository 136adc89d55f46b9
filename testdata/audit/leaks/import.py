# expect: container-environment 3:41
import subprocess
subprocess.call("docker run -e PASSWORD=hunter2 image", shell=True)
