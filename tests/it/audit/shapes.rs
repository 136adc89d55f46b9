//! Texts of any length, of each kind that the audit tells apart, that are made to cost much.

/// Name, what the text begins with, what is repeated, and what it ends with.
type Repeated = (&'static str, &'static str, &'static str, &'static str);

/// Name, what the text begins with, and what follows for each number.
type Numbered = (&'static str, &'static str, fn(usize) -> String);

/// Name, and how a text is put into one of this kind.
type Nested = (&'static str, fn(&str) -> String);

const REPEATED: &[Repeated] = &[
    ("sh long word", "", "a", ""),
    ("sh words", "", "a ", ""),
    ("sh lines", "", "a\n", ""),
    ("sh findings", "", "sshpass -p x y\n", ""),
    ("sh findings one line", "", "https://a:b@c ", ""),
    ("sh option findings", "curl ", "-ua:b ", ""),
    ("sh same document", "", "a <<E\nx y\nE\n", ""),
    ("sh same word unterminated", "", "a <<E\nx y\n", ""),
    ("sh many documents one line", "", "a <<E <<F <<G <<H <<I <<J <<K\nE\nF\nG\nH\nI\nJ\nK\n", ""),
    ("sh document of redirections", "", "a <<E <<E <<E <<E <<E <<E\n", ""),
    ("sh document ends", "a <<E\n", "E \n", ""),
    ("sh documents in backquotes", "", "`a <<E\nx\nE\n`\n", ""),
    ("sh unterminated documents in backquotes", "", "`a <<E\nx\n`\n", ""),
    ("sh long delimiter", "a <<", "E", "\n"),
    ("sh subst", "", "$(", ""),
    ("sh subst closed", "", "$(a) ", ""),
    ("sh backquotes", "", "`a` ", ""),
    ("sh open backquotes escaped", "", "\\`", ""),
    ("sh quotes", "", "'\"", ""),
    ("sh quotes2", "", "\"'", ""),
    ("sh backslashes", "", "\\", ""),
    ("sh continued", "a ", "x\\\n", ""),
    ("sh arithmetic", "", "$((a", ""),
    ("sh arithmetic2", "", "((a))", ""),
    ("sh arithmetic lines", "", "((a\n", ""),
    ("sh case", "", "case a in a) b;; esac\n", ""),
    ("sh case open", "", "case a in a) ", ""),
    ("sh parameters", "", "${a:-${a}} ", ""),
    ("sh open parameters", "", "${a:-", ""),
    ("sh open parameters lines", "", "${a:-\n", ""),
    ("sh open functions", "", "f() {\n", ""),
    ("sh function keyword", "", "function f {\n", ""),
    ("sh parens blanks", "", "() ", ""),
    ("sh arrays", "", "a=(b) ", ""),
    ("sh open arrays", "", "a=(", ""),
    ("sh ignore", "", "# credimg: ignore\nsshpass -p x y\n", ""),
    ("sh ignore rules", "", "# credimg: ignore sshpass a\nsshpass -p x y\n", ""),
    ("sh ignore one line", "sshpass -p x y # credimg: ignore ", "sshpass ", ""),
    ("sh ignore marks one line", "# ", "credimg: ignore ", ""),
    ("sh ignore above", "", "# credimg: ignore sshpass\n", "sshpass -p x y\n"),
    ("sh unknown ignore", "", "# credimg: ignore a\n", ""),
    ("sh pipes", "", "a|b|", ""),
    ("sh redirections", "", ">a<b ", ""),
    ("sh process", "", "<(a) ", ""),
    ("sh placeholders", "", "<a-b> ", ""),
    ("sh templates", "", "{{ a", ""),
    ("sh braces", "", "{{", ""),
    ("sh unicode", "sshpass -p é ", "é", ""),
    ("sh unicode findings", "", "é; sshpass -p é é\n", ""),
    ("sh C1", "", "\u{85}\u{9b}x ", ""),
    ("sh containers", "docker ", "-e TOKEN=x ", ""),
    ("sh containers lines", "", "docker run -eTOKEN=x -ite A_TOKEN=y\n", ""),
    ("sh sysinfo same", "virt-install --sysinfo type=fwcfg", ",entry.name=opt/a", ""),
    ("sh smbios", "qemu -smbios type=11", ",value=TOKEN=x", ""),
    ("sh oemstrings", "x ", "oemStrings.entry0=TOKEN=x,", ""),
    ("sh smbios cred", "qemu -smbios type=11", ",value=io.systemd.credential:a=b", ""),
    ("sh smbios prefix", "qemu -smbios type=11,", "io.systemd.credential:", ""),
    ("sh commas", "-a ", "a=,,", ""),
    ("sh props", "-drive ", "a=b,", ""),
    ("sh urls", "", "://a:", ""),
    ("sh urls2", "", "://a@", ""),
    ("sh urls3", "", "iscsi://", ""),
    ("sh rbd", "", "rbd:a:key=b", ""),
    ("sh set cred", "", "SetCredential=a:b", ""),
    ("sh kernel", "-append ", "rootpw=a ", ""),
    ("sh kernel quoted", "-append '", "rootpw=a ", "'"),
    ("sh masks", "", "-p x*", ""),
    ("sh mask", "sshpass -p ", "x", "y"),
    ("sh headers", "curl ", "-H Authorization:x ", ""),
    ("sh virsh", "virsh ", "set-user-password ", ""),
    ("sh rootpw", "rootpw ", "--username ", ""),
    ("sh keys", "x ", "--key a:key:b ", ""),
    ("sh equals", "", "a=", ""),
    ("sh colons", "", ":a=", ""),
    ("sh quoted doc", "x '", "a b=c ", "'"),
    ("sh quoted escapes", "x \"", "\\\"a ", "\""),
    ("sh sshpasses", "sshpass ", "-p ", ""),
    ("unit lines", "[Service]\n", "A=b\n", ""),
    ("unit environment", "[Service]\nEnvironment=", "TOKEN=x ", ""),
    ("unit environments", "[Service]\n", "Environment=TOKEN=x\n", ""),
    ("unit exec", "[Service]\nExecStart=", "a ", ""),
    ("unit execs", "[Service]\n", "ExecStart=sshpass -p x y\n", ""),
    ("unit continued", "[Service]\nExecStart=a", "\\\n b", ""),
    ("unit continued comments", "[Service]\nExecStart=a", "\\\n#", ""),
    ("unit escapes", "[Service]\nEnvironment=\"", "\\ab", "\""),
    ("unit set cred", "[Service]\n", "SetCredential=a:b\n", ""),
    ("unit quotes", "[Service]\nExecStart=", "'\"", ""),
    ("mkosi", "[Content]\n", "Credentials=a=b\n", ""),
    ("mkosi list", "[Content]\nCredentials=\n", "  a=b\n", ""),
    ("mkosi root", "[Content]\n", "RootPassword=b\n", ""),
    ("mkosi kernel", "[Content]\nKernelCommandLine=\n", "  rootpw=b\n", ""),
    ("xml open", "", "<a>", ""),
    ("xml text", "<a>", "a=b ", ""),
    ("xml elements", "<domain>", "<a b='c'/>", ""),
    ("xml attributes", "<domain ", "a='b' ", ""),
    ("xml attribute", "<domain a='", "a b ", "'/>"),
    ("xml open attribute", "<domain ", "a='", ""),
    ("xml open comments", "<domain>", "<!--", ""),
    ("xml comments", "<domain>", "<!---->", ""),
    ("xml cdata", "<domain>", "<![CDATA[a]]>", ""),
    ("xml open cdata", "<domain>", "<![CDATA[", ""),
    ("xml entities", "<domain>", "&amp;a", ""),
    ("xml numbers", "<domain>", "&#x41;", ""),
    ("xml ampersands", "<domain>", "&#", ""),
    ("xml args", "<domain>", "<arg value='a b'/>", ""),
    ("xml cmdlines", "<domain>", "<cmdline>rootpw=a b</cmdline>", ""),
    ("xml passwords", "<domain>", "<a passwd='a'/>", ""),
    ("xml secret", "<secret>", "<value>x</value>", ""),
    ("xml oem", "<oemStrings>", "<entry>TOKEN=x</entry>", ""),
    ("xml closing", "<a>", "</", ""),
    ("xml entity attr", "<domain><arg value='", "&quot;", "'/>"),
    ("json strings", "[", "\"a\",", "\"b\"]"),
    ("json numbers", "[", "1,", "1]"),
    ("json string", "[\"", "a b ", "\"]"),
    ("json escapes", "[\"", "\\n", "\"]"),
    ("json escapes u", "[\"", "\\u0061", "\"]"),
    ("json escapes quote", "[\"", "\\\"a ", "\"]"),
    ("json objects", "[", "{\"password\":\"x\",\"driver\":\"y\"},", "1]"),
    ("json lines", "", "{\"password\":\"x\",\"driver\":\"y\"}\n", ""),
    ("json members", "{", "\"a\":\"b\",", "\"b\":\"c\"}"),
    ("json too deep", "", "[", ""),
    ("json too deep objects", "", "{\"a\":", ""),
    ("json props", "{\"a\":1", ",\"props\":{\"a\":\"b\"}", "}"),
    ("yaml lines", "a: b\n", "a: b\n", ""),
    ("yaml items", "a:\n", "- a\n", ""),
    ("yaml dashes", "a: b\n", "- ", ""),
    ("yaml flow seq", "a: ", "[", ""),
    ("yaml flow map", "a: ", "{a: ", ""),
    ("yaml flow items", "a: [", "a,", "]"),
    ("yaml flow members", "a: {", "a: b,", "}"),
    ("yaml block", "a: |\n", "  a b\n", ""),
    ("yaml blocks", "a: |\n", "  a b\na: |\n", ""),
    ("yaml empty blocks", "a: |\n", "a: |\n", ""),
    ("yaml blank lines", "a: |\n", "\n", ""),
    ("yaml plain", "a: b\n", "  c\n", ""),
    ("yaml quoted", "a: \"", "\\n", "\""),
    ("yaml open quotes", "a: b\n", "a: '\n", ""),
    ("yaml quotes", "a: b\n", "a: ''''\n", ""),
    ("yaml anchors", "a: b\n", "a: &a b\n", ""),
    ("yaml anchors2", "a: ", "&a ", ""),
    ("yaml aliases", "a: b\n", "a: *a\n", ""),
    ("yaml tags", "a: ", "!!a ", ""),
    ("yaml documents", "a: b\n", "---\n", ""),
    ("yaml comments", "a: b\n", "# a\n", ""),
    ("yaml hashes", "a: ", "# ", ""),
    ("yaml long key", "a: b\n? ", "k", ": b\n"),
    ("yaml colons", "a: ", "b:", ""),
    ("yaml commands", "a:\n", "- sshpass -p x y\n", ""),
    ("yaml nested blocks", "a:\n", " - |\n   a b\n", ""),
    ("cloud users", "#cloud-config\nusers:\n", "- name: a\n  plain_text_passwd: b\n", ""),
    ("cloud passwords", "#cloud-config\n", "password: b\n", ""),
    ("cloud list", "#cloud-config\nchpasswd:\n  list: |\n", "    a:b\n", ""),
    ("cloud list2", "#cloud-config\nchpasswd:\n  list:\n", "  - a:b\n", ""),
    ("cloud bootcmd", "#cloud-config\nruncmd:\n", "- [sshpass, -p, x, y]\n", ""),
    ("proxmox lines", "cores: 1\n", "cores: 1\n", ""),
    ("proxmox args", "args: -a ", "b ", ""),
    ("proxmox password", "cores: 1\n", "cipassword: x\n", ""),
    ("proxmox escapes", "args: -a \"", "\\ab", "\""),
    ("kickstart lines", "text\n%end\n", "rootpw x\n", ""),
    ("kickstart options", "text\n%end\nuser ", "--passphrase=x ", ""),
    ("kickstart crypted", "text\n%end\nuser ", "--password=$6$x ", ""),
    ("kickstart users", "text\n%end\n", "user --password=x\n", ""),
    ("kickstart sections", "text\n%end\n", "%post\na\n%end\n", ""),
    ("kickstart open sections", "text\n%end\n", "%post\n", ""),
    ("kickstart script", "text\n%end\n%post\n", "sshpass -p x y\n", ""),
    ("preseed lines", "d-i a/b string x\n", "d-i a/password password x\n", ""),
    ("preseed value", "d-i a/b string ", "a b=c ", ""),
    ("preseed continued", "d-i a/b string ", "a\\\n ", ""),
    ("python lines", "import os\n", "a('b')\n", ""),
    ("python strings", "import os\na(", "'b' ", ""),
    ("python items", "import os\na(", "'b',", ""),
    ("python open", "import os\n", "a(", ""),
    ("python brackets", "import os\n", "[", ""),
    ("python formatted", "import os\na(f'", "{a}", "')"),
    ("python open braces", "import os\na(f'''", "{a\n", "''')"),
    ("python triple", "import os\n", "'''", ""),
    ("python names", "import os\na(", "b ", ""),
    ("python escapes", "import os\na('", "\\n", "')"),
    ("python findings", "import os\n", "r(['sshpass','-p','x','y'])\n", ""),
    ("python methods", "import os\na('b'", ".c()", ""),
    ("log lines", "2024-01-01 00:00:00 a\n", "2024-01-01 00:00:00 curl -u a:b c\n", ""),
    ("log line", "2024-01-01 00:00:00 ", "a ", ""),
    ("log quotes", "2024-01-01 00:00:00 ", "'a' ", ""),
    ("log braces", "2024-01-01 00:00:00 ", "{} ", ""),
    ("log open braces", "2024-01-01 00:00:00 ", "{", ""),
    ("log json", "2024-01-01 00:00:00 a\n", "2024-01-01 00:00:00 {\"a\":\"b c\"}\n", ""),
    ("log bad json", "2024-01-01 00:00:00 {\"a\":[", "1,", "}"),
    ("log continued", "2024-01-01 00:00:00 ", "a \\\n", ""),
    ("log headers", "2024-01-01 00:00:00 curl ", "-H ", ""),
    ("log headers2", "2024-01-01 00:00:00 curl ", "-H a b c ", ""),
    ("log header long", "2024-01-01 00:00:00 curl -H ", "a ", ""),
    ("ps lines", "PID CMD\n", "1 sshpass -p x y\n", ""),
    ("ps line", "PID CMD\n1 ", "a ", ""),
    ("ps headers", "PID CMD\n1 ", "-H a ", ""),
    ("ps word", "PID CMD\n1 ", "a", ""),
    ("ps append", "PID CMD\n1 -append ", "rootpw=b ", ""),
    ("journal lines", "__CURSOR=a\n", "_CMDLINE=sshpass -p x y\n", ""),
    ("journal quotes", "__CURSOR=a\n", "_CMDLINE=\"sshpass\" -p x y\n", ""),
    ("journal messages", "__CURSOR=a\n", "MESSAGE=sshpass -p x y\n", ""),
    ("journal message", "__CURSOR=a\nMESSAGE=", "'a' ", ""),
    ("journal binary", "__CURSOR=a\n", "MESSAGE\n\x01\0\0\0\0\0\0\0a\n", ""),
    ("journal empty binary", "__CURSOR=a\n", "a\n\0\0\0\0\0\0\0\0\n", ""),
    ("journal json", "", "{\"MESSAGE\":\"sshpass -p x y\"}\n", ""),
    ("args", "a\0", "a\0", ""),
    ("args empty", "a\0", "\0", ""),
    ("args findings", "curl\0", "-u\0a:b\0", ""),
    ("args long", "a\0", "a=b,", ""),
    ("args quoted", "a\0", "a b\0", ""),
    ("args json", "a\0", "{\"a\":\"b c\"}\0", ""),
    ("findings dense", "", "://:a@ ", ""),
    ("findings dense oem", "", "rootpw=a\n-append rootpw=b\n", ""),
    ("findings many rules", "x ", "password=rbd:://a:b@c:key=d,driver=e ", ""),
];

const NUMBERED: &[Numbered] = &[
    ("sh documents", "", |i| format!("a <<E{i}\nx y\nE{i}\n")),
    ("sh unterminated documents", "", |i| format!("a <<E{i}\nx y\n")),
    ("sh unterminated dash documents", "", |i| format!("a <<-'E{i}'\n\tx y\n")),
    ("sh functions", "", |i| format!("f{i}() {{ echo \"$1\"; }}\nf{i} x\n")),
    ("sh message functions", "", |i| format!("die_{i}() {{ x=$1; echo \"$x\" >&2; }}\n")),
    ("sh function variables", "f() {\n", |i| format!("v{i}=$1\n")),
    ("sh variables", "", |i| format!("V{i}=x{i}\n")),
    ("sh functions no bodies", "", |i| format!("f{i}()\n")),
    ("sh sysinfo", "virt-install --sysinfo type=fwcfg", |i| format!(",entry{i}.name=opt/a")),
    ("sh sysinfo with", "virt-install --sysinfo type=fwcfg", |i| {
        format!(",entry{i}.name=opt/a,entry{i}=x")
    }),
    ("xml many args", "<domain>", |i| format!("<arg value='-a{i}'/>")),
    ("json keys", "{\"a\":1}\n{\"b\":1}\n", |i| format!("{{\"k{i}\":\"a\"}}\n")),
    ("cloud keys", "#cloud-config\n", |i| format!("key{i}:\n  a: b\n")),
];

const NESTED: &[Nested] = &[
    ("shell quotes", |text| format!("x \"{}\"", escaped(text))),
    ("the last word of a part", |text| format!("{}\"{}\" x", "a ".repeat(4095), escaped(text))),
    ("JSON properties", |text| format!("{{\"props\":{{\"a\":\"{}\"}}}}", escaped(text))),
    ("settings that go on", |text| {
        let text = escaped(text).replace('\n', "\\n");
        format!("[Service]\nEnvironment=\n Environment=\"A={text}\"")
    }),
    ("objects in logs", |text| format!("2024-01-01 00:00:00 {{\"a\":\"{}\"}}", escaped(text))),
];

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A shape: its name, and a text of it of at most so many bytes.
pub(super) type Shape = (&'static str, Box<dyn Fn(usize) -> String>);

pub(super) fn shapes() -> Vec<Shape> {
    let mut shapes: Vec<Shape> = Vec::new();
    for (name, head, piece, tail) in REPEATED {
        shapes.push((
            name,
            Box::new(move |size| {
                let count = size.saturating_sub(head.len() + tail.len()) / piece.len();
                format!("{head}{}{tail}", piece.repeat(count))
            }),
        ));
    }
    for (name, head, piece) in NUMBERED {
        shapes.push((
            name,
            Box::new(move |size| {
                let mut text = (*head).to_owned();
                for next in (0..).map(piece) {
                    if text.len() + next.len() > size {
                        break;
                    }
                    text += &next;
                }
                text
            }),
        ));
    }
    // Every collection has as many members as there may be, at full size.
    for (name, head, open, member) in [
        ("json wide and deep", "", "{", "\"a\":\"b\","),
        ("yaml wide and deep", "a: ", "[", "a,"),
        ("python wide and deep", "import os\n", "[", "'a',"),
        ("sh wide and deep", "", "$(", "a "),
    ] {
        shapes.push((
            name,
            Box::new(move |size| {
                let level =
                    format!("{open}{}", member.repeat((size / 64 / member.len()).min(4095)));
                let level = level + if name.starts_with("json") { "\"b\":" } else { "" };
                let end = if open == "{" { format!("1{}", "}".repeat(60)) } else { String::new() };
                format!("{head}{}{end}", level.repeat(60))
            }),
        ));
    }
    for (name, open, close) in
        [("${a:-", "${a:-", "}"), ("<a>", "<a>", "</a>"), ("{\"a\":", "{\"a\":", "}")]
    {
        shapes.push((
            name,
            Box::new(move |size| {
                let count = size / (open.len() + close.len());
                format!("{}{}", open.repeat(count), close.repeat(count))
            }),
        ));
    }
    shapes
}

/// Texts that take `levels` readings one within the other: name and text.
pub(super) fn nested(levels: usize) -> Vec<(&'static str, String)> {
    let text = "a b ".repeat(1 << 11);
    NESTED
        .iter()
        .map(|(name, put)| (*name, (0..levels).fold(text.clone(), |text, _| put(&text))))
        .collect()
}
