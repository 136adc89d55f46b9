//! What a virtual machine monitor is told about the image. The renderers are
//! pure: they see path, format, size and serial, never content.
