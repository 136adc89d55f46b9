//! Our own sentence for each kind of syntax error. The parser's texts are
//! never shown: some hold a character of the manifest.

use serde_yaml::ErrorKind;

use super::error::Fault;
use super::node::DEPTH_MAX;

/// Tags, such as `!env` or `!!binary`.
pub(super) fn tags() -> Fault {
    Fault::new("YAML tags are not supported").hint("quote a value that begins with `!`")
}

/// Anchors and aliases. Without them no manifest can grow beyond its own size.
pub(super) fn anchors() -> Fault {
    Fault::new("YAML anchors and aliases are not supported")
        .hint("quote a value that begins with `&` or `*`; common attributes go to `defaults`")
}

/// Too many levels.
pub(super) fn depth() -> Fault {
    Fault::new(format!("nested deeper than {DEPTH_MAX} levels"))
}

/// The fault of a manifest that is not valid YAML.
#[expect(clippy::wildcard_enum_match_arm, reason = "the parser may add kinds")]
pub(super) fn fault(kind: &ErrorKind) -> Fault {
    use ErrorKind as E;
    let (sentence, hint) = match kind {
        E::RecursionLimitExceeded => return depth(),
        E::UnknownAnchor | E::MissingAnchorOrAliasName | E::AnchorCountOverflow => {
            return anchors();
        }
        E::UndeclaredTagHandle
        | E::ExpectedTagBang
        | E::InvalidGlobalTagCharacter
        | E::InvalidTagTerminator
        | E::MissingTagUri
        | E::UnclosedVerbatimTag
        | E::InvalidTagEscape
        | E::InvalidTagUtf8LeadingByte
        | E::InvalidTagUtf8TrailingByte
        | E::InvalidTagUtf8 => return tags(),
        E::DirectiveDisallowed => return Fault::new("YAML directives are not supported"),
        E::UnclosedQuotedScalar | E::DocumentIndicatorInQuotedScalar => {
            ("a quote is not closed", "")
        }
        E::UnclosedFlowCollection { .. }
        | E::UnexpectedEofFlowSequence
        | E::UnexpectedEofFlowMapping
        | E::UnexpectedEofImplicitFlowMapping => ("a bracket is not closed", ""),
        E::MismatchedFlowCollectionEnd { .. } => ("brackets do not match", ""),
        E::MisplacedFlowCollectionEnd => ("a closing bracket without its opening one", ""),
        E::ExpectedFlowMappingSeparator | E::ExpectedFlowSequenceSeparator => {
            ("expected a comma or a closing bracket", "")
        }
        E::TabNotAllowed
        | E::TabInBlockIndentation
        | E::TabAtBlockScalarStart
        | E::TabInIndentation
        | E::TabInPlainScalar
        | E::InvalidBlockEntryWhitespace
        | E::InvalidMappingValueWhitespace => {
            ("a tab where only spaces may stand", "indent with spaces")
        }
        E::MappingValueNotAllowed | E::InvalidColonPlacement => {
            ("a colon where none may stand", "quote a value that holds a colon and a space")
        }
        E::SimpleKeyExpected | E::InvalidSimpleKey | E::MappingKeyNotAllowed => {
            ("expected a key and a colon", "")
        }
        E::InvalidIndentation
        | E::ExpectedBlockMappingKey
        | E::ExpectedBlockSequenceEntry
        | E::BlockSequenceEntryNotAllowed
        | E::InvalidBlockScalarIndent
        | E::InvalidQuotedScalarIndent
        | E::InvalidFlowScalarIndent => ("unexpected text or wrong indentation", ""),
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => {
            ("text after a closing quote", "")
        }
        E::UnknownQuotedScalarEscape
        | E::InvalidQuotedScalarHexEscape
        | E::InvalidLowSurrogateHexEscape
        | E::InvalidLowSurrogate
        | E::MissingLowSurrogate
        | E::UnpairedLowSurrogate
        | E::InvalidUnicodeEscape => (
            "an unknown escape in a double-quoted value",
            "double each backslash, or use single quotes",
        ),
        E::UnexpectedCharacter { .. } | E::PlainScalarStartsWithDashFlowIndicator => {
            ("a value begins with a character that YAML reserves", "quote the value")
        }
        E::ZeroBlockScalarIndent | E::InvalidBlockScalarHeader => {
            ("a malformed block header after `|` or `>`", "")
        }
        E::CommentInterceptedScalar | E::CommentNotSeparated => {
            ("a comment where none may stand", "quote a value that holds `#`")
        }
        E::BomInsideDocument => ("a byte order mark inside the document", ""),
        E::InvalidDocumentEnd => ("text after the document's end", ""),
        _ => ("its structure is broken", ""),
    };
    let fault = Fault::new(format!("not valid YAML: {sentence}"));
    if hint.is_empty() { fault } else { fault.hint(hint) }
}
