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
    match kind {
        E::RecursionLimitExceeded => depth(),
        E::UnknownAnchor | E::MissingAnchorOrAliasName | E::AnchorCountOverflow => anchors(),
        E::UndeclaredTagHandle
        | E::ExpectedTagBang
        | E::InvalidGlobalTagCharacter
        | E::InvalidTagTerminator
        | E::MissingTagUri
        | E::UnclosedVerbatimTag
        | E::InvalidTagEscape
        | E::InvalidTagUtf8LeadingByte
        | E::InvalidTagUtf8TrailingByte
        | E::InvalidTagUtf8 => tags(),
        E::DirectiveDisallowed => Fault::new("YAML directives are not supported"),
        _ => {
            let (sentence, hint) = sentence(kind);
            let fault = Fault::new(format!("not valid YAML: {sentence}"));
            match hint {
                Some(hint) => fault.hint(hint),
                None => fault,
            }
        }
    }
}

/// What is wrong with the YAML, and how it is mended where one can tell.
#[expect(clippy::wildcard_enum_match_arm, reason = "the parser may add kinds")]
fn sentence(kind: &ErrorKind) -> (&'static str, Option<&'static str>) {
    use ErrorKind as E;
    match kind {
        E::UnclosedQuotedScalar | E::DocumentIndicatorInQuotedScalar => {
            ("a quote is not closed", None)
        }
        E::UnclosedFlowCollection { .. }
        | E::UnexpectedEofFlowSequence
        | E::UnexpectedEofFlowMapping
        | E::UnexpectedEofImplicitFlowMapping => ("a bracket is not closed", None),
        E::MismatchedFlowCollectionEnd { .. } => ("brackets do not match", None),
        E::MisplacedFlowCollectionEnd => ("a closing bracket without its opening one", None),
        E::ExpectedFlowMappingSeparator | E::ExpectedFlowSequenceSeparator => {
            ("expected a comma or a closing bracket", Some("quote a value that holds a bracket"))
        }
        E::TabNotAllowed
        | E::TabInBlockIndentation
        | E::TabAtBlockScalarStart
        | E::TabInIndentation
        | E::TabInPlainScalar
        | E::InvalidBlockEntryWhitespace
        | E::InvalidMappingValueWhitespace => {
            ("a tab where only spaces may stand", Some("indent with spaces"))
        }
        E::MappingValueNotAllowed | E::InvalidColonPlacement => {
            ("a colon where none may stand", Some("quote a value that holds a colon and a space"))
        }
        E::SimpleKeyExpected | E::InvalidSimpleKey | E::MappingKeyNotAllowed => {
            ("expected a key and a colon", None)
        }
        E::InvalidIndentation
        | E::ExpectedBlockMappingKey
        | E::ExpectedBlockSequenceEntry
        | E::BlockSequenceEntryNotAllowed
        | E::InvalidBlockScalarIndent
        | E::InvalidQuotedScalarIndent
        | E::InvalidFlowScalarIndent => (
            "unexpected text or wrong indentation",
            Some(
                "indent alike what belongs together, and quote a value that begins with a bracket",
            ),
        ),
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => {
            ("text after a closing quote", None)
        }
        E::UnknownQuotedScalarEscape
        | E::InvalidQuotedScalarHexEscape
        | E::InvalidLowSurrogateHexEscape
        | E::InvalidLowSurrogate
        | E::MissingLowSurrogate
        | E::UnpairedLowSurrogate
        | E::InvalidUnicodeEscape => (
            "an unknown escape in a double-quoted value",
            Some("double each backslash, or use single quotes"),
        ),
        E::UnexpectedCharacter { .. } | E::PlainScalarStartsWithDashFlowIndicator => {
            ("a value begins with a character that YAML reserves", Some("quote the value"))
        }
        E::ZeroBlockScalarIndent | E::InvalidBlockScalarHeader => {
            ("a malformed block header after `|` or `>`", None)
        }
        E::CommentInterceptedScalar | E::CommentNotSeparated => {
            ("a comment where none may stand", Some("quote a value that holds `#`"))
        }
        E::BomInsideDocument => ("a byte order mark inside the document", None),
        E::InvalidDocumentEnd => ("text after the document's end", None),
        _ => ("its structure is broken", None),
    }
}
