//! The machine's own arguments: chooses those that the probe starts QEMU with. They must carry
//! everything that was sent, and must not disturb a machine that already runs with them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::properties::Properties;
use crate::monitors::qemu::escaped;
use crate::report::{Exit, Failure};

/// Options with a value that are kept unchanged.
const KEPT: &[&str] =
    &["cpu", "m", "smp", "accel", "bios", "global", "L", "smbios", "fw_cfg", "add-fd"];
/// Options without a value that are kept unchanged.
const KEPT_FLAGS: &[&str] = &["enable-kvm", "no-acpi", "nodefaults", "no-user-config", "no-hpet"];
/// Devices that disks are plugged into. They and the disks are the only devices that are kept, as
/// others may reach the host or other machines.
const CONTROLLERS: &[&str] = &[
    "pcie-root-port",
    "pcie-pci-bridge",
    "pci-bridge",
    "pxb",
    "ioh3420",
    "x3130-upstream",
    "xio3130-downstream",
    "i82801b11-bridge",
    "virtio-scsi",
    "lsi",
    "megasas",
    "mptsas",
    "pvscsi",
    "ahci",
    "ich9-ahci",
    "qemu-xhci",
    "nec-usb-xhci",
    "usb-ehci",
    "ich9-usb",
    "piix3-usb",
    "piix4-usb",
    "usb-bot",
    "usb-uas",
];
/// Objects that a disk or a controller may name: the key of an image that QEMU itself opens, and
/// the thread that serves a disk.
const OBJECTS: &[&str] = &["secret", "iothread"];
/// Properties of the machine type that are dropped: each names a part of the machine that is left
/// out, or a file that QEMU writes.
const MACHINE_PARTS: &[&str] = &[
    "memory-backend",
    "isa-serial",
    "confidential-guest-support",
    "memory-encryption",
    "pcspk-audiodev",
    "dumpdtb",
];
/// Properties that name something of the host, or a part of the machine that may be left out. A
/// controller that has one is left out too.
const REFERENCES: &[&str] = &["chardev", "netdev", "host", "hostaddr", "sysfsdev", "vhostfd"];

/// One option of QEMU's command line, with its value.
struct Given<'w> {
    name: &'w str,
    value: Option<&'w [u8]>,
}

/// A disk that the machine is given, and the device that it is attached as.
pub(super) struct Disk {
    pub(super) drive: Properties,
    pub(super) device: Properties,
}

/// What the machine's arguments say, as far as the probe needs it.
#[derive(Default)]
pub(super) struct MachineArguments {
    /// The arguments that the probe starts QEMU with.
    pub(super) kept: Vec<OsString>,
    /// The values of `-smbios`, of `-fw_cfg` and of `-add-fd`.
    pub(super) smbios: Vec<Properties>,
    pub(super) items: Vec<Properties>,
    pub(super) descriptors: Vec<Properties>,
    /// Read-only disks.
    pub(super) disks: Vec<Disk>,
    /// Read-only nodes of `-blockdev`.
    pub(super) nodes: Vec<Properties>,
    /// The controllers that the disks are plugged into.
    pub(super) controllers: Vec<String>,
    /// The initrd and the words of the kernel's command line, where the arguments give the machine
    /// a kernel.
    pub(super) initrd: Option<OsString>,
    pub(super) words: Vec<Vec<u8>>,
}

impl MachineArguments {
    /// Reads QEMU's arguments; the program's name is not among them.
    pub(super) fn read(words: &[OsString]) -> Result<Self, Failure> {
        let given = given(words);
        let mut own = Self::default();
        if given.iter().any(|given| given.name == "readconfig") {
            let message = "what a file of -readconfig gives the machine is not known";
            let hint = "print the arguments in another style: --args shell";
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        }
        own.drives(&given);
        for Given { name, value } in &given {
            match (*name, *value) {
                (name, None) if KEPT_FLAGS.contains(&name) => own.keep_flag(name),
                (name, Some(value)) => own.option(name, value),
                (_, None) => {}
            }
        }
        Ok(own)
    }

    /// Whether KVM runs the machine: only then does the guest have KVM's clock.
    pub(super) fn asks_kvm(&self) -> bool {
        self.kept.iter().any(|word| {
            let word = word.as_bytes();
            word == b"-enable-kvm" || word.windows(3).any(|part| part == b"kvm")
        })
    }

    fn option(&mut self, name: &str, value: &[u8]) {
        match name {
            "smbios" => self.smbios.push(Properties::parse(value, "type")),
            "fw_cfg" => self.items.push(Properties::parse(value, "name")),
            "add-fd" => self.descriptors.push(Properties::parse(value, "fd")),
            "initrd" => self.initrd = Some(OsStr::from_bytes(value).to_owned()),
            "append" => {
                let words = value.split(u8::is_ascii_whitespace).map(<[u8]>::to_vec);
                self.words = words.filter(|word| !word.is_empty()).collect();
            }
            "M" | "machine" => return self.machine(value),
            "pflash" => {
                let file = [b"if=pflash,format=raw,file=", &escaped(value)[..]].concat();
                return self.flash(&file);
            }
            "object" => {
                let object = Properties::parse(value, "qom-type");
                if object.text("qom-type").is_some_and(|kind| OBJECTS.contains(&kind)) {
                    self.keep(name, value);
                }
            }
            _ => {}
        }
        if KEPT.contains(&name) {
            self.keep(name, value);
        }
    }

    /// Keeps the machine type, without the properties that name what is left out.
    fn machine(&mut self, value: &[u8]) {
        let properties = Properties::parse(value, "type");
        let has_node = |name: &[u8]| {
            self.nodes.iter().any(|node| node.get("node-name").is_some_and(|own| own == name))
        };
        let kept = properties.only(|key, value| match key {
            _ if MACHINE_PARTS.contains(&key) => false,
            "pflash0" | "pflash1" => has_node(value),
            _ => true,
        });
        self.keep("machine", &kept);
    }

    /// Keeps flash memory. The firmware's writes go to a snapshot that is dropped, and the file is
    /// not locked: a running machine may use it.
    fn flash(&mut self, value: &[u8]) {
        let is_read_only = Properties::parse(value, "file").is_read_only();
        let end: &[u8] = if is_read_only { b"" } else { b",snapshot=on,file.locking=off" };
        self.keep("drive", &[value, end].concat());
    }

    /// Keeps the read-only disks, their devices and their controllers. Writable disks are left out:
    /// a running machine may have them.
    fn drives(&mut self, given: &[Given<'_>]) {
        let all = |name: &'static str| {
            given.iter().filter(move |given| given.name == name).filter_map(|given| given.value)
        };
        let mut drives: Vec<Properties> = Vec::new();
        for value in all("drive") {
            let drive = Properties::parse(value, "file");
            if drive.get("if") == Some(b"pflash") {
                self.flash(value);
            } else if drive.is_read_only() && drive.get("if") == Some(b"none") {
                self.keep("drive", value);
                drives.push(drive);
            }
        }
        for value in all("blockdev") {
            let node = Properties::parse(value, "driver");
            if node.is_read_only() {
                self.keep("blockdev", value);
                self.nodes.push(node);
            }
        }
        for value in all("device") {
            self.device(value, &mut drives);
        }
    }

    /// Keeps a device that has one of these drives, or that is a controller.
    fn device(&mut self, value: &[u8], drives: &mut Vec<Properties>) {
        let device = Properties::parse(value, "driver");
        let kind = device.text("driver").unwrap_or_default().to_owned();
        if let Some(name) = device.text("drive") {
            let at = drives.iter().position(|drive| drive.text("id") == Some(name));
            let node = self.nodes.iter().find(|node| node.text("node-name") == Some(name));
            let drive = at.map(|at| drives.remove(at)).or_else(|| node.cloned());
            if let Some(drive) = drive {
                self.keep("device", value);
                self.disks.push(Disk { drive, device });
            }
        } else if CONTROLLERS.iter().any(|name| kind.starts_with(name))
            && !REFERENCES.iter().any(|key| device.get(key).is_some())
        {
            self.keep("device", value);
            self.controllers.push(kind);
        }
    }

    fn keep(&mut self, name: &str, value: &[u8]) {
        self.keep_flag(name);
        self.kept.push(OsString::from_vec(value.to_vec()));
    }

    fn keep_flag(&mut self, name: &str) {
        self.kept.push(format!("-{name}").into());
    }
}

/// The options in their order. The word behind an option is its value, unless it begins with a dash
/// as well. A word that stands alone is the path of a disk, and is left out.
fn given(words: &[OsString]) -> Vec<Given<'_>> {
    let mut words = words.iter().map(|word| word.as_bytes()).peekable();
    let mut given = Vec::new();
    while let Some(word) = words.next() {
        let Some(name) = word.strip_prefix(b"-") else { continue };
        let name = std::str::from_utf8(name.strip_prefix(b"-").unwrap_or(name)).unwrap_or_default();
        let is_flag = KEPT_FLAGS.contains(&name);
        let value = words.next_if(|next| !is_flag && (name == "append" || !next.starts_with(b"-")));
        given.push(Given { name, value });
    }
    given
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn own(line: &str) -> MachineArguments {
        MachineArguments::read(&line.split(' ').map(OsString::from).collect::<Vec<_>>()).unwrap()
    }

    fn kept(line: &str) -> String {
        own(line).kept.join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn what_reaches_out_of_the_machine_stays_away() {
        for line in [
            "root.img",
            "-hda root.img -cdrom install.iso",
            "-drive file=root.img,if=virtio",
            "-drive if=none,id=r,file=root.img -device virtio-blk,drive=r",
            "-blockdev driver=file,node-name=r,filename=root.img -device virtio-blk,drive=r",
            "-daemonize -pidfile vm.pid -S -incoming tcp:0:4444",
            "-qmp unix:qmp,server=on -monitor stdio -serial file:log -nographic",
            "-chardev socket,id=c,path=c -device virtserialport,chardev=c -device isa-serial,chardev=c",
            "-netdev tap,id=n -device virtio-net,netdev=n -nic user,smb=/srv",
            "-device vfio-pci,host=01:00.0 -device vhost-vsock-pci,guest-cid=3",
            "-device virtio-scsi,vhostfd=3",
            "-object memory-backend-file,id=m,mem-path=/dev/shm/vm,share=on,size=1G",
            "-fsdev local,id=f,path=/srv -virtfs local,path=/srv",
            "-kernel vmlinuz -initrd initrd -append -x",
            "-drive if=none,id=r,file=a,readonly=on,snapshot=on -device virtio-blk,drive=r",
            "-drive if=none,id=r,file=a,readonly=on,readonly=off -device virtio-blk,drive=r",
            "-blockdev driver=raw,node-name=r,read-only=on,file.filename=a,file.read-only=off",
            "-blockdev {\"driver\":\"raw\",\"read-only\":true,\"file\":{\"read-only\":false}}",
            "-blockdev {\"driver\":\"quorum\",\"read-only\":true,\"children\":[{\"read-only\":false}]}",
            "-drive if=none,readonly=on,file=json:{\"file\":{\"read-only\":false}}",
        ] {
            assert_eq!(kept(line), "", "{line}");
        }
    }

    #[test]
    fn what_is_sent_stays_with_the_machine_that_carries_it() {
        for line in [
            "-cpu max -m 1G -smp 2 -accel kvm -enable-kvm -no-acpi -nodefaults -bios OVMF.fd",
            "-smbios file=a.smbios -smbios type=11,value=x -fw_cfg name=opt/a,file=a",
            "-object secret,id=k,file=key",
            "-object qom-type=iothread,id=t -device virtio-scsi,id=s,iothread=t",
            "-object {\"qom-type\":\"secret\",\"id\":\"k\",\"file\":\"key\"}",
            "-drive if=none,id=c,file=a.erofs,format=raw,read-only=on -device virtio-blk,drive=c",
            "-blockdev {\"driver\":\"raw\",\"node-name\":\"c\",\"read-only\":true} -device nvme,drive=c",
            "-device virtio-scsi,id=s -device pcie-root-port,id=p -device qemu-xhci",
            "-drive if=pflash,format=raw,readonly=on,file=CODE.fd",
        ] {
            let mut expected: Vec<_> = line.split(' ').collect();
            let kept = kept(line);
            let mut kept: Vec<_> = kept.split(' ').collect();
            expected.sort_unstable();
            kept.sort_unstable();
            assert_eq!(kept, expected);
        }
    }

    #[test]
    fn the_machine_type_names_nothing_that_stays_away() {
        for (line, expected) in [
            ("-M q35", "-machine type=q35"),
            ("--machine microvm,pcie=on,isa-serial=off", "-machine type=microvm,pcie=on"),
            ("-machine q35,memory-backend=m,pflash1=v", "-machine type=q35"),
            (
                "-machine q35,confidential-guest-support=c,pcspk-audiodev=a,smm=off",
                "-machine type=q35,smm=off",
            ),
            ("-machine virt,dumpdtb=virt.dtb", "-machine type=virt"),
        ] {
            assert_eq!(kept(line), expected);
        }
        let flash = "-blockdev driver=file,node-name=v,filename=CODE.fd,read-only=on";
        let expected = format!("{flash} -machine type=q35,pflash0=v");
        assert_eq!(kept(&format!("-machine q35,pflash0=v {flash}")), expected);
    }

    #[test]
    fn flash_memory_that_can_be_written_is_left_as_it_is() {
        let end = "snapshot=on,file.locking=off";
        for (line, expected) in [
            ("-pflash a,b", "-drive if=pflash,format=raw,file=a,,b"),
            ("-drive if=pflash,file=VARS.fd", "-drive if=pflash,file=VARS.fd"),
        ] {
            assert_eq!(kept(line), format!("{expected},{end}"));
        }
    }

    #[test]
    fn the_kernels_words_are_those_of_the_last_option() {
        let words = ["-append", "a  -b", "-append", "c=d e"].map(OsString::from);
        assert_eq!(MachineArguments::read(&words).unwrap().words, [b"c=d".to_vec(), b"e".to_vec()]);
        assert!(MachineArguments::read(&["-readconfig", "vm.cfg"].map(OsString::from)).is_err());
    }
}
