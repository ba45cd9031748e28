"""Image and video networks of torchvision and timm, as small as they come."""

from __future__ import annotations

from typing import Any

import _peers
import torch
from _cases import Case, image


def torchvision(name: str, size: int = 64, frames: int = 0, **options: Any) -> Case:
    """A classifier of images, or of videos where ``frames`` are given."""
    _peers.torchvision()
    from torchvision import models

    model = getattr(models.video if frames else models, name)(weights=None, num_classes=5, **options)
    return Case(model, torch.randn(1, 3, frames, size, size) if frames else image(size), None)


def segmentation(name: str, size: int = 48) -> Case:
    _peers.torchvision()
    from torchvision import models

    model = getattr(models.segmentation, name)(weights=None, weights_backbone=None, num_classes=5)
    return Case(model, image(size), lambda out: out["out"][:, 1].sum((1, 2)))


def timm(name: str, size: int = 64, **options: Any) -> Case:
    _peers.torchvision()
    import timm as library

    return Case(library.create_model(name, pretrained=False, num_classes=5, **options), image(size), None)


TORCHVISION: dict[str, dict[str, Any]] = {
    "alexnet": {},
    "vgg11": {"size": 32},
    "vgg11_bn": {"size": 32},
    "resnet18": {},
    "resnet50": {},
    "resnext50_32x4d": {},
    "wide_resnet50_2": {},
    "densenet121": {},
    "inception_v3": {"size": 96, "init_weights": False},
    "googlenet": {"init_weights": False},
    "mobilenet_v2": {},
    "mobilenet_v3_small": {},
    "mnasnet0_5": {},
    "shufflenet_v2_x0_5": {},
    "squeezenet1_0": {},
    "squeezenet1_1": {},
    "efficientnet_b0": {},
    "efficientnet_v2_s": {},
    "regnet_x_400mf": {},
    "regnet_y_400mf": {},
    "convnext_tiny": {},
    "vit_b_16": {"image_size": 64},
    "swin_t": {},
    "swin_v2_t": {},
    "maxvit_t": {"size": 224},
    "r3d_18": {"size": 32, "frames": 4},
    "mc3_18": {"size": 32, "frames": 4},
    "r2plus1d_18": {"size": 32, "frames": 4},
    "s3d": {"size": 224, "frames": 16},
    "swin3d_t": {"size": 32, "frames": 4},
}

SEGMENTATION = ("fcn_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large")

SIZED = {"img_size": 64}
TIMM: dict[str, dict[str, Any]] = {
    "beit_base_patch16_224": {**SIZED, "depth": 2, "embed_dim": 96, "num_heads": 4},
    "botnet26t_256": {**SIZED, "size": 64},
    "cait_xxs24_224": {**SIZED, "depth": 3},
    "coat_lite_tiny": SIZED,
    "coatnet_pico_rw_224": SIZED,
    "convit_tiny": {**SIZED, "depth": 11},
    "convmixer_768_32": {},
    "convnext_atto": {},
    "convnextv2_atto": {},
    "crossvit_tiny_240": {},
    "cs3darknet_focus_s": {},
    "cspresnet50": {},
    "darknet17": {},
    "davit_tiny": {},
    "deit3_small_patch16_224": {**SIZED, "depth": 2},
    "deit_tiny_distilled_patch16_224": {**SIZED, "depth": 2},
    "densenet121": {},
    "dla34": {},
    "dpn48b": {},
    "eca_botnext26ts_256": {**SIZED, "size": 64},
    "ecaresnet26t": {},
    "edgenext_xx_small": {},
    "efficientformer_l1": {"size": 224},
    "efficientformerv2_s0": SIZED,
    "efficientnet_lite0": {},
    "efficientvit_b0": {},
    "efficientvit_m0": SIZED,
    "ese_vovnet19b_slim_dw": {},
    "eva02_tiny_patch14_224": {"img_size": 56, "size": 56, "depth": 2},
    "fastvit_t8": {},
    "fasternet_t0": {},
    "focalnet_tiny_srf": {},
    "gcvit_xxtiny": SIZED,
    "gernet_s": {},
    "ghostnet_050": {},
    "gmixer_12_224": SIZED,
    "gmlp_ti16_224": SIZED,
    "halonet26t": {"size": 256},
    "hardcorenas_a": {},
    "hgnetv2_b0": {},
    "hiera_tiny_224": {**SIZED, "stages": (1, 1, 2, 1), "embed_dim": 32},
    "hrnet_w18_small": {},
    "inception_next_atto": {},
    "inception_v4": {"size": 96},
    "lambda_resnet26rpt_256": {"size": 256},
    "lcnet_035": {},
    "levit_128s": SIZED,
    "mambaout_femto": {},
    "caformer_s18": {},
    "mixer_s32_224": SIZED,
    "mobilenetv4_conv_small_035": {},
    "mobileone_s0": {},
    "mobilevit_xxs": {},
    "mobilevitv2_050": {},
    "mvitv2_tiny": SIZED,
    "nasnetalarge": {"size": 96},
    "nest_tiny": SIZED,
    "nextvit_small": {},
    "dm_nfnet_f0": {},
    "pit_ti_224": SIZED,
    "poolformer_s12": {},
    "pvt_v2_b0": {},
    "rdnet_tiny": {},
    "regnety_002": {},
    "repghostnet_050": {},
    "repvgg_a0": {},
    "repvit_m0_9": {},
    "res2net50_14w_8s": {},
    "resmlp_12_224": SIZED,
    "resnest14d": {},
    "resnetv2_50": {},
    "rexnet_100": {},
    "samvit_base_patch16": {"img_size": 64, "depth": 2, "embed_dim": 48, "num_heads": 4},
    "selecsls42": {},
    "sequencer2d_s": {"layers": (1, 1, 1, 1), "embed_dims": (24, 32, 32, 32), "hidden_sizes": (6, 8, 8, 8)},
    "shvit_s1": {},
    "skresnet18": {},
    "starnet_s1": {"depths": (1, 1, 1, 1)},
    "swiftformer_xs": {},
    "swin_tiny_patch4_window7_224": {
        **SIZED,
        "window_size": 4,
        "depths": (1, 2, 1),
        "embed_dim": 24,
        "num_heads": (2, 2, 2),
    },
    "swinv2_tiny_window8_256": {**SIZED, "window_size": 4, "depths": (1, 2), "embed_dim": 24, "num_heads": (2, 2)},
    "swinv2_cr_tiny_224": {**SIZED, "window_size": 4, "depths": (1, 2), "embed_dim": 24, "num_heads": (2, 2)},
    "tf_efficientnetv2_b0": {},
    "tiny_vit_5m_224": {},
    "tnt_s_legacy_patch16_224": {**SIZED, "depth": 2},
    "tresnet_m": {},
    "twins_pcpvt_small": {**SIZED, "depths": (1, 1, 1, 1)},
    "twins_svt_small": {**SIZED, "depths": (1, 1, 1, 1)},
    "visformer_tiny": {**SIZED, "depth": (1, 1, 1)},
    "vit_tiny_patch16_224": {**SIZED, "depth": 2},
    "vit_relpos_small_patch16_224": {**SIZED, "depth": 2},
    "vit_small_patch16_rope_224": {**SIZED, "depth": 2},
    "vit_tiny_r_s16_p8_224": {**SIZED, "depth": 2},
    "vitamin_small_224": SIZED,
    "volo_d1_224": SIZED,
    "xception41": {},
    "xcit_nano_12_p16_224": {"depth": 2},
}
