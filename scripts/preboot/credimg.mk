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
#
# The disks of a fleet, one for each machine of one manifest. % stands for the machine's name:
#
#   CREDIMG_FLEET := fleet.yaml
#   CREDIMG_FLEET_OUTPUT := disks/%.erofs
#   include /usr/local/share/credimg/credimg.mk
#   all: $(CREDIMG_FLEET_IMAGES)

CREDIMG ?= credimg
CREDIMG_OPTIONS ?=

$(filter %.erofs,$(CREDIMG_IMAGES)): %.erofs: %.yaml
	$(CREDIMG) build $< --output $@ --if-changed --depfile $@.d --quiet --args none $(CREDIMG_OPTIONS)

$(filter %.squashfs,$(CREDIMG_IMAGES)): %.squashfs: %.yaml
	$(CREDIMG) build $< --output $@ --if-changed --depfile $@.d --quiet --args none $(CREDIMG_OPTIONS)

$(filter %.iso,$(CREDIMG_IMAGES)): %.iso: %.yaml
	$(CREDIMG) build $< --output $@ --if-changed --depfile $@.d --quiet --args none $(CREDIMG_OPTIONS)

ifdef CREDIMG_FLEET
CREDIMG_FLEET_OUTPUT ?= %.erofs
CREDIMG_MACHINES := $(shell $(CREDIMG) fleet list $(CREDIMG_FLEET))
ifneq ($(.SHELLSTATUS),0)
$(error $(CREDIMG_FLEET) does not tell its machines)
endif
CREDIMG_FLEET_IMAGES := $(patsubst %,$(CREDIMG_FLEET_OUTPUT),$(CREDIMG_MACHINES))

$(CREDIMG_FLEET_IMAGES): $(CREDIMG_FLEET_OUTPUT): $(CREDIMG_FLEET)
	$(CREDIMG) fleet build $< --only $* --output '$(subst %,{machine},$(CREDIMG_FLEET_OUTPUT))' --if-changed --depfile '$(subst %,{machine},$(CREDIMG_FLEET_OUTPUT)).d' --quiet $(CREDIMG_OPTIONS)
endif

-include $(addsuffix .d,$(CREDIMG_IMAGES) $(CREDIMG_FLEET_IMAGES))

.PHONY: FORCE
FORCE:
