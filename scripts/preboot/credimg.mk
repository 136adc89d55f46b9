# Secrets disks in a Makefile: name them, and include this file.
#
#   CREDIMG_IMAGES := chimera.erofs lab/medusa.squashfs
#   include /usr/local/share/credimg/credimg.mk
#   run: chimera.erofs ; qemu-system-x86_64 ... $$(credimg args $<)
#
# NAME.erofs, NAME.squashfs and NAME.iso are built from NAME.yaml when a file or directory
# that they were made of is newer (NAME.erofs.d tells Make which), and keep their
# time where the image comes out the same. What commands and variables deliver
# Make cannot see: `chimera.erofs: FORCE` has such an image built on every run.

CREDIMG ?= credimg
CREDIMG_OPTIONS ?=

$(filter %.erofs,$(CREDIMG_IMAGES)): %.erofs: %.yaml
	$(CREDIMG) build $< --output $@ --if-changed --depfile $@.d --quiet --args none $(CREDIMG_OPTIONS)

$(filter %.squashfs,$(CREDIMG_IMAGES)): %.squashfs: %.yaml
	$(CREDIMG) build $< --output $@ --if-changed --depfile $@.d --quiet --args none $(CREDIMG_OPTIONS)

$(filter %.iso,$(CREDIMG_IMAGES)): %.iso: %.yaml
	$(CREDIMG) build $< --output $@ --if-changed --depfile $@.d --quiet --args none $(CREDIMG_OPTIONS)

-include $(addsuffix .d,$(CREDIMG_IMAGES))

.PHONY: FORCE
FORCE:
