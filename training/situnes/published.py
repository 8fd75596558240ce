"""The numbers printed in the paper: means over the ten seeds.

Source: Grigorev et al., CHIIR 2024. Task A: AUC, MAE, RMSE; Task B: accuracy, macro F1, macro AP,
micro AP.
"""

from collections.abc import Mapping
from typing import Final

from training.situnes.scores import LikeScores, MoodScores

COLUMNS: Final = ("S1 no sit.", "S2 no sit.", "S2 sit.", "S3 no sit.", "S3 sit.")
"""Task A: the setting, and whether the situation is seen."""


def _likes(*rows: tuple[float, float, float]) -> Mapping[str, LikeScores]:
    return {
        column: LikeScores(auc=auc, mae=mae, rmse=rmse)
        for column, (auc, mae, rmse) in zip(COLUMNS, rows, strict=True)
    }


LIKES: Final[Mapping[str, Mapping[str, LikeScores]]] = {
    "FM": _likes(
        (0.6235, 0.4325, 0.4464),
        (0.6847, 0.3318, 0.4268),
        (0.8188, 0.2323, 0.3791),
        (0.5552, 0.4704, 0.4767),
        (0.6871, 0.3619, 0.4339),
    ),
    "WideDeep": _likes(
        (0.6519, 0.3526, 0.4486),
        (0.7131, 0.2832, 0.4341),
        (0.8174, 0.2779, 0.3751),
        (0.5293, 0.4238, 0.5941),
        (0.7104, 0.2999, 0.4010),
    ),
    "AutoInt": _likes(
        (0.6564, 0.3337, 0.4480),
        (0.7222, 0.2926, 0.4323),
        (0.8121, 0.2416, 0.4202),
        (0.5566, 0.3552, 0.4438),
        (0.7059, 0.2658, 0.3983),
    ),
    "DCN V2": _likes(
        (0.6527, 0.3708, 0.4542),
        (0.6685, 0.3146, 0.4519),
        (0.8108, 0.2336, 0.3825),
        (0.5598, 0.4162, 0.4681),
        (0.6953, 0.2898, 0.4246),
    ),
}

MOOD_COLUMNS: Final = ("S2", "S3")


def _moods(*rows: tuple[float, float, float, float]) -> Mapping[str, MoodScores]:
    return {
        column: MoodScores(accuracy=accuracy, macro_f1=f1, macro_ap=macro, micro_ap=micro)
        for column, (accuracy, f1, macro, micro) in zip(MOOD_COLUMNS, rows, strict=True)
    }


MOODS: Final[Mapping[str, Mapping[str, MoodScores]]] = {
    "LR, objective": _moods((0.4959, 0.2740, 0.3406, 0.4145), (0.4601, 0.2529, 0.3364, 0.3917)),
    "LR, subjective": _moods((0.5492, 0.3978, 0.3893, 0.4523), (0.5305, 0.3694, 0.4067, 0.4379)),
    "LR, both": _moods((0.5656, 0.4244, 0.4025, 0.4651), (0.5073, 0.3662, 0.3735, 0.4216)),
    "SVM, objective": _moods((0.5046, 0.2632, 0.3425, 0.4208), (0.4656, 0.2118, 0.3333, 0.3949)),
    "SVM, subjective": _moods((0.5569, 0.3940, 0.3917, 0.4584), (0.5108, 0.3747, 0.3781, 0.4240)),
    "SVM, both": _moods((0.5618, 0.4869, 0.4130, 0.4545), (0.4995, 0.3781, 0.3704, 0.4137)),
    "RF, objective": _moods((0.5185, 0.3060, 0.3536, 0.4306), (0.4650, 0.2126, 0.3333, 0.3946)),
    "RF, subjective": _moods((0.5574, 0.4517, 0.4050, 0.4585), (0.5352, 0.4124, 0.4056, 0.4417)),
    "RF, both": _moods((0.5700, 0.4533, 0.4109, 0.4608), (0.5267, 0.4087, 0.3912, 0.4354)),
    "MLP, objective": _moods((0.5066, 0.2853, 0.3279, 0.4201), (0.4643, 0.2496, 0.3485, 0.4003)),
    "MLP, subjective": _moods((0.5554, 0.4182, 0.3905, 0.4564), (0.5414, 0.4067, 0.4122, 0.4318)),
    "MLP, both": _moods((0.5718, 0.4394, 0.4100, 0.4536), (0.5102, 0.3705, 0.3811, 0.4214)),
}
