"""Attacks: procedures that look for adversarial examples. Importing the package registers them."""

from gauntlet.attacks.attack_space import InAttackSpace
from gauntlet.attacks.decision_based.hop_skip_jump import HopSkipJump
from gauntlet.attacks.decision_based.opt import OPT
from gauntlet.attacks.decision_based.rays import RayS
from gauntlet.attacks.decision_based.sign_opt import SignOPT
from gauntlet.attacks.fixed_budget.daa import Daa
from gauntlet.attacks.fixed_budget.frank_wolfe import FrankWolfe
from gauntlet.attacks.fixed_budget.mi_fgsm import MiFgsm
from gauntlet.attacks.fixed_budget.pgd import Pgd
from gauntlet.attacks.fixed_budget.pgd_with_restarts import PgdWithRestarts, SparsePgd
from gauntlet.attacks.fixed_budget.reference_noise import ReferenceNoise
from gauntlet.attacks.fixed_budget.scheduled_ascent import ScheduledAscent
from gauntlet.attacks.libraries.foolbox import FoolboxAttack
from gauntlet.attacks.libraries.pyautoattack import Apgd, AutoAttack, Fab
from gauntlet.attacks.linear_regions.linear_region import LinearRegion
from gauntlet.attacks.linear_regions.linear_region_path import LinearRegionPath
from gauntlet.attacks.minimum_norm.carlini_wagner import CarliniWagner
from gauntlet.attacks.minimum_norm.deepfool import DeepFool
from gauntlet.attacks.minimum_norm.high_confidence import HighConfidence
from gauntlet.attacks.minimum_norm.jsma import Jsma
from gauntlet.attacks.minimum_norm.lbfgs import Lbfgs
from gauntlet.attacks.minimum_norm.primal_dual import PDGD, PDPGD
from gauntlet.attacks.minimum_norm.sparsefool import SparseFool
from gauntlet.attacks.score_based.bandits import Bandits
from gauntlet.attacks.score_based.bobyqa import BOBYQA
from gauntlet.attacks.score_based.frank_wolfe_blackbox import FrankWolfeBlackBox
from gauntlet.attacks.score_based.nattack import NAttack
from gauntlet.attacks.score_based.nes import NES
from gauntlet.attacks.score_based.one_pixel import OnePixel
from gauntlet.attacks.score_based.sign_hunter import SignHunter
from gauntlet.attacks.score_based.square import Square
from gauntlet.attacks.score_based.watermark import Watermark

__all__ = [
    "BOBYQA",
    "NES",
    "OPT",
    "PDGD",
    "PDPGD",
    "Apgd",
    "AutoAttack",
    "Bandits",
    "CarliniWagner",
    "Daa",
    "DeepFool",
    "Fab",
    "FoolboxAttack",
    "FrankWolfe",
    "FrankWolfeBlackBox",
    "HighConfidence",
    "HopSkipJump",
    "InAttackSpace",
    "Jsma",
    "Lbfgs",
    "LinearRegion",
    "LinearRegionPath",
    "MiFgsm",
    "NAttack",
    "OnePixel",
    "Pgd",
    "PgdWithRestarts",
    "RayS",
    "ReferenceNoise",
    "ScheduledAscent",
    "SignHunter",
    "SignOPT",
    "SparseFool",
    "SparsePgd",
    "Square",
    "Watermark",
]
