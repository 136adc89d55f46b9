//! Decides whether an image gets a hash tree, and what the tree is made with.

use std::path::PathBuf;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credimg_formats::verity::{Found, Options, Sealed};
use credimg_formats::{Error, Timestamp};
use sha2::{Digest, Sha256};

use super::image::{self, Image};
use super::wishes::SigningWishes;
use crate::delivery::verity::HashTree;
use crate::keys::signer::Signer;
use crate::manifest::{self, Manifest};
use crate::monitors::Block;
use crate::report::{Exit, Failure};

/// Prefixes of what is hashed into a salt or a UUID, so that the two differ.
const SALT_PREFIX: &[u8] = b"credimg: salt of a hash tree\0";
const UUID_PREFIX: &[u8] = b"credimg: UUID of a hash tree\0";

/// What the hash tree of an image is made with.
#[derive(Clone)]
pub(crate) struct Verity {
    salt: Option<Vec<u8>>,
    uuid: Option<[u8; 16]>,
    data_block_bytes: u32,
    hash_block_bytes: u32,
    /// Signs the root hash.
    signer: Option<Rc<Signer>>,
    /// The files of what signs.
    signing: Option<SigningWishes>,
}

impl Verity {
    /// What the manifest says of the tree; none where neither it nor the command line asks for one.
    /// `block` is the largest block of the disk. Errors are of exit code 3, those of reading key
    /// and certificate of 4 or 5.
    pub(crate) fn new(
        manifest: &Manifest,
        wish: bool,
        signing: Option<&SigningWishes>,
        block: Block,
    ) -> Result<Option<Self>, Failure> {
        let default = manifest::Verity::default();
        let typed = match &manifest.verity {
            Some(typed) => typed,
            None if wish || signing.is_some() => &default,
            None => return Ok(None),
        };
        let max_bytes = u32::from(block.bytes());
        if let Some((bytes, at)) = &typed.data_block_bytes
            && *bytes > max_bytes
        {
            let message = format!("{at}: Linux reads no such image from a disk of larger sectors");
            let hint = format!("at most {max_bytes} will do");
            return Err(Failure::new(Exit::Manifest, message).hint(hint));
        }
        let signer = signing
            .map(|SigningWishes { key, certificate }| Signer::read(key, certificate).map(Rc::new));
        Ok(Some(Self {
            signer: signer.transpose()?,
            signing: signing.cloned(),
            salt: typed.salt.clone(),
            uuid: typed.uuid,
            data_block_bytes: typed
                .data_block_bytes
                .as_ref()
                .map_or(max_bytes, |(bytes, _)| *bytes),
            hash_block_bytes: typed.hash_block_bytes.unwrap_or(4096),
        }))
    }

    /// The size of the disk's blocks: at most `block`, and none that is too large for dm-verity.
    pub(crate) fn block(&self, block: Block) -> Block {
        fitting(block, self.data_block_bytes, self.hash_block_bytes)
    }

    /// Adds the signature of the root hash, if the command line has named a key to sign with.
    pub(crate) fn signed(&self, tree: HashTree) -> Result<HashTree, Failure> {
        let Some(signer) = &self.signer else { return Ok(tree) };
        let signature = STANDARD.encode(signer.sign(&tree.root_hash)?);
        Ok(HashTree { signature: Some(signature), ..tree })
    }

    /// What of a tree that was found is not as this build would make it, in words for messages. Salt
    /// and UUID are compared only where the manifest gives them: otherwise they are made from the
    /// image's own UUID and time, which differ from build to build.
    pub(crate) fn differences(&self, found: &Found) -> Vec<&'static str> {
        let Found { options, .. } = found;
        let is_other_hash =
            options.algorithm != Options::default().algorithm || found.has_salt_behind();
        let respects = [
            ("hash tree's hash", is_other_hash),
            ("hash tree's block of data", options.data_block_bytes != self.data_block_bytes),
            ("hash tree's block of hashes", options.hash_block_bytes != self.hash_block_bytes),
            ("hash tree's salt", self.salt.as_ref().is_some_and(|salt| *salt != options.salt)),
            ("hash tree's UUID", self.uuid.is_some_and(|uuid| uuid != options.uuid)),
        ];
        respects.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect()
    }

    /// The files of the key that signs and of its certificate.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &PathBuf> {
        self.signing.iter().flat_map(|signing| [&signing.key, &signing.certificate])
    }

    /// The file of the key that signs.
    pub(super) fn signing_key(&self) -> Option<&PathBuf> {
        self.signing.as_ref().map(|signing| &signing.key)
    }

    /// The options for the tree of `image`. Equal images have equal trees: a salt or UUID that
    /// nobody has chosen is made from what names the image (such as its label and time), and never
    /// from its content.
    pub(crate) fn options(&self, image: &Image) -> Options {
        let salt = self.salt.clone().unwrap_or_else(|| derived(SALT_PREFIX, image).to_vec());
        Options {
            salt,
            uuid: self.uuid.unwrap_or_else(|| uuid(image)),
            data_block_bytes: self.data_block_bytes,
            hash_block_bytes: self.hash_block_bytes,
            ..Options::default()
        }
    }
}

/// The largest block of a disk, at most `block`, on which dm-verity takes blocks of these sizes.
pub(crate) fn fitting(block: Block, data_block_bytes: u32, hash_block_bytes: u32) -> Block {
    let smaller = data_block_bytes.min(hash_block_bytes);
    let fits = |block: &Block| u32::from(block.bytes()) <= smaller;
    [block, Block::Cd].into_iter().find(fits).unwrap_or(Block::Small)
}

/// What the guest is told of a tree that was written.
pub(crate) fn told(sealed: &Sealed) -> HashTree {
    HashTree::new(&sealed.root_hash, sealed.data_bytes)
}

/// The failure to write a hash tree. Errors of what the tree is around are passed on as they are.
pub(crate) fn broken(error: &Error) -> Failure {
    image::broken_around(error, "write the hash tree")
}

/// A hash of the image's format, label and time. Its UUID is part of it only if the format stores
/// one: any other UUID is new in each build.
fn derived(prefix: &[u8], image: &Image) -> [u8; 32] {
    let Image { format, label, uuid, build_time, .. } = image;
    let profile = format.profile();
    let uuid = if profile.has_uuid { &uuid[..] } else { &[] };
    let mut hash = Sha256::new();
    for part in [
        prefix,
        profile.name.as_bytes(),
        b"\0",
        label.as_deref().unwrap_or_default().as_bytes(),
        b"\0",
        &seconds(*build_time),
        uuid,
    ] {
        hash.update(part);
    }
    hash.finalize().into()
}

fn seconds(time: Timestamp) -> [u8; 8] {
    time.seconds().to_le_bytes()
}

/// A UUID of version 8, whose content is free (RFC 9562 5.8).
fn uuid(image: &Image) -> [u8; 16] {
    let hash = derived(UUID_PREFIX, image);
    let mut uuid = [0; 16];
    uuid.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut uuid;
    *version = *version & 0x0f | 0x80;
    *variant = *variant & 0x3f | 0x80;
    uuid
}
