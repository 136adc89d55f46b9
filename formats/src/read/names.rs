//! What the name of an entry can be, whatever the format.

use crate::error::{Error, ErrorKind, Result};
use crate::tree::Name;

/// Refuses a name that no directory of Linux holds, or that leads elsewhere: one that is
/// empty, `.`, `..`, longer than 255 bytes, or with a slash or a NUL in it. Each reader asks
/// before it gives an entry to anybody, and so whoever joins names to paths need not.
pub(crate) fn check(name: &[u8]) -> Result<()> {
    Name::fault(name)
        .map_or(Ok(()), |fault| Err(Error::new(ErrorKind::Corrupt, format!("an entry: {fault}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_makes_the_image_corrupt() {
        assert!(check(b"a").is_ok() && check(&[b'n'; 255]).is_ok() && check(b"...").is_ok());
        for (name, message) in [
            (b"".as_slice(), "an entry: a name is empty"),
            (b".", "an entry: `.` and `..` are not allowed as names"),
            (b"..", "an entry: `.` and `..` are not allowed as names"),
            (b"a/b", "an entry: a name holds a slash"),
            (b"a\0", "an entry: a name holds a NUL byte"),
            (&[b'n'; 256], "an entry: a name is 256 bytes long, at most 255 are possible"),
        ] {
            let error = check(name).err();
            let got = error.map(|error| (error.kind(), error.to_string()));
            assert_eq!(got, Some((ErrorKind::Corrupt, message.to_owned())));
        }
    }
}
